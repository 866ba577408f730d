"""Follow a batch through a Google Cloud Pub/Sub push pipeline and say why it is not done."""

__version__ = "0.1.0"
