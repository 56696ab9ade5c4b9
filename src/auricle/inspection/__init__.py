"""What the network heard, frame by frame: values, and two ways to draw them."""

from auricle.inspection.page import page
from auricle.inspection.view import Inspection, look

__all__ = ["Inspection", "look", "page"]
