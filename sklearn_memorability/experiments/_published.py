"""What the paper printed: the rows of its three tables."""

from typing import NamedTuple


class FitRow(NamedTuple):
    """A row of Table 1: features, a model, and the paper's correlation on LaMem."""

    key: str
    features: str
    model: str
    paper: float | None


class TransferRow(NamedTuple):
    """A row of Tables 2 and 3: a set that the LaMem model is applied to."""

    key: str
    name: str
    also: tuple[str, ...]
    n_images: int | None
    kind: str
    paper: float | None


# Squalli-Houssaini et al. (2018), Table 1: mean Spearman correlation of five folds.
TABLE_1 = (
    FitRow("cnn-svr", "CNN", "SVR", 0.64),
    FitRow("cnn-mlp2", "CNN", "MLP, 2 classes", 0.64),
    FitRow("cnn-mlp4", "CNN", "MLP, 4 classes", 0.65),
    FitRow("ic-svr", "IC", "SVR", 0.65),
    FitRow("ic-mlp4", "IC", "MLP, 4 classes", 0.67),
    FitRow("cnn+ic-mlp4", "CNN + IC", "MLP, 4 classes", 0.72),
)
# The table's last row, taken there from Khosla et al. (2015): it is another system, and
# its figure a published constant.
MEMNET = FitRow("memnet", "Hybrid-CNN (MemNet)", "SVR", 0.64)

# Khosla et al. (2015): split-half rank correlation between people on LaMem.
LAMEM_CONSISTENCY = 0.68

TABLE_2 = (
    TransferRow("isola", "Isola", ("sun",), 2222, "Scene categories", 0.59),
    TransferRow("bylinskii", "Bylinskii", ("figrim",), 1754, "Scene categories", 0.48),
    TransferRow("dubey", "Dubey", (), 850, "Object segmentation", 0.36),
    TransferRow("cohendet", "Cohendet", (), 150, "Rating of emotions", 0.39),
    TransferRow("libkuman", "Libkuman", (), 703, "Rating of emotions", -0.02),
    TransferRow("bainbridge", "Bainbridge", ("faces",), 2222, "Face pictures", -0.06),
    TransferRow("borkin", "Borkin", ("massvis",), 410, "Visualizations", -0.27),
)
TABLE_3 = (
    TransferRow("mediaeval", "MediaEval", (), 7396, "Movie frames", 0.07),
    TransferRow("flickr", "Flickr", (), 123185, "Social network", -0.05),
    TransferRow("gygli1", "Gygli 1", (), 2688, "Scene categories", -0.21),
    TransferRow("gygli2", "Gygli 2", (), 2222, "Scene categories", -0.19),
    TransferRow("gygli3", "Gygli 3", (), 3180, "Webcam pictures", 0.01),
)
