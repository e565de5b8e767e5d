"""``app``: a page in the browser for people who don't program."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._console import OK, say
from sklearn_memorability.cli._tables import csv_text, number

_MOST_IMAGES = 1000
_SHAPES = {"Its own": None, "Square": 1, "Landscape 3:2": 1.5, "Portrait 2:3": 2 / 3}
_ORDERS: dict[str, Callable[[Any], Any]] = {
    "Most memorable first": lambda image: -image["score"],
    "Least memorable first": lambda image: image["score"],
    "By name": lambda image: image["cells"][-1].lower(),
}


def app(
    model: options.Model = "embedded",
    device: options.Device = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="[default: a free one]")] = None,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> int:
    """Open a page for people who don't program: pictures in, a ranking out.

    Only this machine can reach it, and nothing leaves the machine. What was uploaded is
    deleted when the command ends, by Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="memorability-") as folder:
        # Gradio reads them when it is imported.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_RUN_HISTORY": "False"}
        os.environ["GRADIO_TEMP_DIR"] = folder
        gr = import_extra("gradio", "The page", "app")
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        # A website whose name leads to this machine must not read what is here.
        guard = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        settings: dict[str, Any] = {"server_name": "127.0.0.1", "server_port": port}
        settings |= {"share": False, "ssr_mode": False, "mcp_server": False, "footer_links": []}
        settings |= {"enable_monitoring": False, "max_file_size": "100mb", "inbrowser": browser}
        settings |= {"prevent_thread_lock": True, "app_kwargs": {"middleware": [guard]}}
        font = {"font": "system-ui", "font_mono": "system-ui"}
        theme = gr.themes.Default(primary_hue="indigo", **font)
        theme.set(button_primary_background_fill="*primary_600")  # for the text's contrast
        page = _page(gr, model, device, Path(folder))
        script = Path(__file__).with_name("data").joinpath("drop_folder.html").read_text("utf-8")
        # A terminal that is closed, or a machine that is shut down, sends one of these.
        for name in {"SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"} & set(dir(signal)):
            signal.signal(getattr(signal, name), signal.default_int_handler)
        try:
            _, address, _ = page.launch(**settings, head=script, theme=theme, quiet=True)
            say(f"The page is at {address} until Ctrl-C ends it.")
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            page.close(verbose=False)
    say("The page is closed, and what was uploaded is deleted.")
    return OK


def _page(gr: Any, chosen: str, device: str | None, folder: Path) -> Any:
    """Return the page: what happens when its parts are used, and the parts."""
    from sklearn_memorability.cli._inputs import open_model
    from sklearn_memorability.cli._models import ready_models
    from sklearn_memorability.images._collect import only_images

    opened = lru_cache(maxsize=1)(lambda name: open_model(name, None, device, None))

    @contextmanager
    def plainly() -> Iterator[None]:
        try:
            yield
        except (ImportError, OSError, TypeError, ValueError, typer.BadParameter) as error:
            raise gr.Error(escape(str(error)), duration=None, title="This did not work") from error

    def rank(files: list[str], model: str, order: str, progress: Any = gr.Progress()) -> Any:  # noqa: B008
        images: list[Any] = []
        with plainly():
            paths = only_images(files or (), "the upload")
            if not 0 < len(paths) <= _MOST_IMAGES:
                raise ValueError(f"Add 1 to {_MOST_IMAGES} pictures; there are {len(paths)}.")
            for start in range(0, len(paths), 16):
                progress((start, len(paths)), desc="Scoring", unit="pictures")
                images += _scored(opened(model), paths[start : start + 16])
            images.sort(key=lambda image: (bool(image["error"]), -image["score"]))
            if images[0]["error"]:
                raise ValueError(f"No picture can be read; the first {images[0]['error']}")
        names = [image["cells"][-1] for image in images if not image["error"]]
        counts = len(names), len(images) - len(names), len(files) - len(images)
        status = "{} pictures ranked, {} can't be read, {} other files left out.".format(*counts)
        status += " Nine in ten true scores lie in the interval." if images[0]["ends"] else ""
        choices = [(f"{row + 1}. {name}", row) for row, name in enumerate(names)]
        shown = _rows(images, order), _csv(images, folder), gr.Dropdown(choices, value=0)
        return images, status, *shown, gr.Column(visible=True)

    def select(event: gr.SelectData) -> Any:
        rank = event.row_value[0]
        return int(rank) - 1 if rank else gr.skip()

    def why(images: list[Any], row: int, model: str) -> Any:
        with plainly():
            text, path = _why(opened(model), images[row], folder)
        return gr.Image(path, label=images[row]["cells"][-1], alt_text=text, visible=True), text

    def compare(images: list[Any], row: int, model: str, *controls: Any) -> Any:
        with plainly():
            text, crops = _compare(opened(model), images[row], [controls[:4], controls[4:]])
        return *(gr.Image(crop, label=label, alt_text=label) for label, crop in crops), text

    opened(chosen)  # what is wrong with it shows now
    at_hand = [row["name"] for row in ready_models() if row["weights"] == "here"]
    models = [(Path(name).name, name) for name in dict.fromkeys([chosen, *at_hand])]
    title = "How memorable are these pictures?"
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown(
            f"# {title}\nDrop pictures or a folder, and rank them. They stay on this computer, and "
            "the copies made for this page are deleted when the program ends."
        )
        files = gr.File(label="Pictures", file_count="multiple", height=180, elem_id="pictures")
        more = gr.UploadButton("Add a folder", file_count="directory")
        model = gr.Dropdown(models, value=chosen, label="Model")
        go = gr.Button("Rank the pictures", variant="primary")
        images, status = gr.State([]), gr.Markdown("Nothing is ranked yet.", min_height=40)
        with gr.Column(visible=False) as results:
            order = gr.Dropdown(list(_ORDERS), label="Order")
            look: dict[str, Any] = {"max_height": 700, "wrap": True, "interactive": False}
            look["headers"] = ["Rank", "Picture", "Score", "Interval", "Name"]
            look["datatype"] = ["number", "html", "number", "str", "str"]
            look["column_widths"] = [60, 115, 65, 90, "68%"]
            table = gr.Dataframe(label="Ranking", **look)
            download = gr.DownloadButton("Download the table (CSV)")
            picture = gr.Dropdown([], label="Look closer at this picture")
            with gr.Tab("Why?"):
                explain, reasons = gr.Button("Show what makes it memorable"), gr.Markdown()
                drawn = gr.Image(visible=False, buttons=[])
            with gr.Tab("Compare two crops"):
                verdict, crops, controls = gr.Markdown(), [], []
                with gr.Row():
                    for crop, zoom in (("A", 1), ("B", 2)):
                        with gr.Column(min_width=260):
                            crops.append(gr.Image(height=300, buttons=[], interactive=False))
                            controls += [
                                gr.Dropdown(list(_SHAPES), label=f"Shape of crop {crop}"),
                                gr.Slider(1, 5, zoom, step=0.1, label=f"Zoom of crop {crop}"),
                                gr.Slider(label=f"Crop {crop} from left to right, in %", value=50),
                                gr.Slider(label=f"Crop {crop} from top to bottom, in %", value=50),
                            ]
        more.upload(lambda new, old: [*(old or []), *new], [more, files], files)
        one = {"concurrency_id": "model", "concurrency_limit": 1}
        outputs = [images, status, table, download, picture, results]
        go.click(rank, [files, model, order], outputs, show_progress_on=status, **one)
        order.change(_rows, [images, order], table)
        table.select(select, None, picture)
        explain.click(why, [images, picture, model], [drawn, reasons], **one)
        other = [images.change, picture.change]
        gr.on(other, lambda: (gr.Image(visible=False), ""), None, [drawn, reasons])
        moved = [*other, *(part.change for part in controls)]
        one["trigger_mode"] = "always_last"
        gr.on(moved, compare, [images, picture, model, *controls], [*crops, verdict], **one)
    return page


def _scored(model: Any, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield what is known of each image."""
    from sklearn_memorability.images._read import ImageContent
    from sklearn_memorability.inspection._displays import data_uri
    from sklearn_memorability.inspection._unwrap import predict_images

    predicted = predict_images(model, paths)
    errors = {error.row: error.reason for error in predicted.errors}
    for row, path in enumerate(paths):
        name, error, score = Path(path).name, errors.get(row), float(predicted.score[row])
        ends = [] if predicted.quantiles is None else predicted.quantiles[row].tolist()
        cells: list[Any] = [f"⚠ {escape(error or '')}", None, "", name]
        if error is None:
            small = ImageContent(path).reduced(96).image
            small.thumbnail((192, 144))
            shown = f"<img alt='{escape(name)}' width=96 src='{data_uri(small)}'>"
            cells = [shown, round(score, 3), " to ".join(f"{x:.2f}" for x in ends), name]
        yield {"cells": cells, "path": path, "score": score, "ends": ends, "error": error}


def _rows(images: Sequence[dict[str, Any]], order: str) -> list[list[Any]]:
    """Return the table that is shown; images that can't be read come last."""
    ranked = [(None if image["error"] else rank, image) for rank, image in enumerate(images, 1)]
    ranked.sort(key=lambda row: (row[0] is None, _ORDERS[order](row[1])))
    return [[rank, *image["cells"]] for rank, image in ranked]


def _csv(images: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write the table that is downloaded."""
    rows: list[list[Any]] = [["image", "score", *["q05", "q95"][: len(images[0]["ends"])], "error"]]
    for image in images:
        numbers = [number(value) for value in [image["score"], *image["ends"]]]
        rows.append([image["cells"][-1], *numbers, image["error"]])
    path = Path(tempfile.mkdtemp(dir=folder), "memorability.csv")
    path.write_text(csv_text(rows), "utf-8-sig")  # by which spreadsheets know UTF-8
    return path


def _why(model: Any, image: dict[str, Any], folder: Path) -> tuple[str, Path]:
    """Return in words and as a file what makes an image memorable."""
    from matplotlib.figure import Figure

    from sklearn_memorability.inspection import MapDisplay, occlusion_map
    from sklearn_memorability.inspection._displays import small_image

    found = occlusion_map(model, small_image(image["path"], None, 400))
    figure, path = Figure(figsize=(6, 4)), Path(tempfile.mkdtemp(dir=folder), "map.webp")
    MapDisplay(found.image, found.map).plot(figure.add_subplot())
    figure.savefig(path, dpi=120, bbox_inches="tight")
    text = "Parts of the picture were covered, one after the other."
    for at in (found.map.argmax(), found.map.argmin()):
        y, x = divmod(int(at), found.map.shape[1])
        down = ("upper ", "", "lower ")[3 * y // found.map.shape[0]]
        across = ("left", "middle", "right")[3 * x // found.map.shape[1]]
        text += f" Covering the {down}{across} changes the score by {-found.map[y, x]:+.3f}."
    return text, path


def _compare(model: Any, image: dict[str, Any], settings: Any) -> tuple[str, list[Any]]:
    """Return in words how two crops of an image compare, and both with their captions."""
    from sklearn_memorability.images import read_image
    from sklearn_memorability.inspection._unwrap import predict_images

    whole, crops = read_image(image["path"]), []
    for shape, zoom, across, down in settings:
        ratio = _SHAPES[shape] or whole.width / whole.height
        longest = min(whole.width, whole.height * ratio) / zoom
        width, height = max(1, round(longest)), max(1, round(longest / ratio))
        left = round((whole.width - width) * across / 100)
        top = round((whole.height - height) * down / 100)
        crops.append(whole.crop((left, top, left + width, top + height)))
    a, b = scores = predict_images(model, crops).score
    text = f"Crop {'AB'[int(a < b)]} scores {abs(a - b):.3f} higher."
    named = zip("AB", scores, crops, strict=True)
    return text, [(f"Crop {x}: {score:.3f}", crop) for x, score, crop in named]
