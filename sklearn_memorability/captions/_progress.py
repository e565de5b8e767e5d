"""A progress bar over the batches of a training."""

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm


class Progress(Callback):
    """Show how far training is, and the last figure on held-out rows.

    Parameters
    ----------
    n_batches : int
        How many there will be at the most.
    name : str
        The figure's name in the history.
    """

    def __init__(self, n_batches: int, name: str) -> None:
        self.n_batches = n_batches
        self.name = name

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=self.n_batches, desc="VisualSemanticEmbedding", unit="batch")

    def on_batch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go on."""
        self.bar_.update()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Show the figures of the epoch."""
        epoch = net.history[-1]
        shown = {"epoch": epoch["epoch"], "loss": f"{epoch['train_loss']:.3g}"}
        if self.name in epoch:
            shown["recall"] = f"{epoch[self.name]:.1f}"
        self.bar_.set_postfix(shown)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
