"""A ministry's site: described once in `site.yaml`, rendered as text, checked, and run."""
