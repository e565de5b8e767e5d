"""Fine-tuning: a pretrained network and its class head trained together, images to scores."""

from sklearn_memorability.finetuning._fine_tuned import FineTunedRegressor

__all__ = ["FineTunedRegressor"]
