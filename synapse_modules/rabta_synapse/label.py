"""The class label as the door's files name it; how it is read stands with the judge."""

from rabta_policy.label import ROOM_CLASS, Label, labels_in

__all__ = ["ROOM_CLASS", "Label", "labels_in"]
