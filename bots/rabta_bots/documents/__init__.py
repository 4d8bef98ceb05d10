"""Documents between e-Office and rooms: fetched, checked, scanned and posted; and the way back."""
