"""DICOM objects without anything that says whose they are (PS3.15, annex E). Pure: bytes in, bytes out."""
