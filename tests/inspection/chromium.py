"""A headless Chromium, driven by the DevTools protocol over two pipes."""

import json
import os
import select
import shutil
import signal
import tempfile
import time

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium():
    """Return the program that CHROMIUM names, or one of the usual names, or None."""
    if os.name != "posix":  # its pipes are POSIX's
        return None
    given = os.environ.get("CHROMIUM")
    return given or next(filter(None, map(shutil.which, _NAMES)), None)


class Chromium:
    """One browser with one page. What the page says and asks for is kept.

    Attributes
    ----------
    complaints : list of str
        Errors and warnings of the console, and uncaught exceptions, since :meth:`open`.
    requests : list of str
        Addresses that were asked for since :meth:`open`, but for ``data:`` ones.
    """

    def __init__(self, program):
        import fcntl

        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"]
        flags += ["--hide-scrollbars", "--disable-dev-shm-usage", "--lang=en-US"]
        flags += ["--disable-background-networking", f"--user-data-dir={self._folder.name}"]
        if os.geteuid() == 0:  # the sandbox refuses to run as root
            flags.append("--no-sandbox")
        # The protocol is spoken on the descriptors 3 and 4; above them, the originals can't
        # be in the way of the copies.
        pipes = [*os.pipe(), *os.pipe()]
        moved = [fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in pipes]
        for pipe in pipes:
            os.close(pipe)
        theirs_in, self._out, self._in, theirs_out = moved
        actions = [(os.POSIX_SPAWN_OPEN, i, os.devnull, os.O_RDWR, 0) for i in range(3)]
        actions += [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        command = [program, *flags, "about:blank"]
        self._process = os.posix_spawnp(program, command, os.environ, file_actions=actions)
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest, self._last, self._session = b"", 0, None
        self._events, self.complaints, self.requests = [], [], []
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, timeout=60, **params):
        """Send a command and return its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + timeout
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, path, width=1400, height=900, dark=False, script=True):
        """Open a file or an address, wait until it is drawn, and return the seconds it took."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        self.resize(width, height)
        self._events, self.complaints, self.requests = [], [], []
        started = time.monotonic()
        self.send("Page.navigate", url=path if isinstance(path, str) else path.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._receive(started + 60)
        if script:
            self.drawn()
        return time.monotonic() - started

    def resize(self, width, height):
        """Set the size of the window's inside, in pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)

    def run(self, script):
        """Run JavaScript in the page and return its value, waiting for promises."""
        result = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def drawn(self):
        """Wait until what has changed is on the screen."""
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def press(self, key, code=0, text=""):
        """Press a key, as a user does."""
        keys = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        typed = {"text": text} if text else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **keys, **typed)
        self.send("Input.dispatchKeyEvent", type="keyUp", **keys)
        self.drawn()

    def close(self):
        """End the browser."""
        self._session = None
        try:
            self.send("Browser.close", timeout=10)
            while select.select([self._in], [], [], 10)[0] and os.read(self._in, 1 << 20):
                pass  # its end of the pipe is closed when it has ended
        except (OSError, EOFError, TimeoutError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()

    def _receive(self, deadline):
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            portion = os.read(self._in, 1 << 20)
            if not portion:
                raise EOFError("Chromium has ended")
            self._rest += portion
        message, self._rest = self._rest.split(b"\0", 1)
        answer = json.loads(message)
        self._note(answer.get("method", ""), answer.get("params", {}))
        return answer

    def _note(self, method, params):
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith("data:"):
                self.requests.append(url)
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(params["args"]))
