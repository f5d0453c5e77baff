"""Image classification and semantic segmentation, with torch."""
