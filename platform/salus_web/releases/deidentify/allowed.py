"""What of an image may leave: by name, and each with what its value may be. Whatever is not here stays."""

from __future__ import annotations

# numbers: how many, from, to. What lies outside is no such number, and could be a record number written where nobody looks.
NUMBERS: dict[str, tuple[int, float, float]] = {
    "PixelSpacing": (2, 0.001, 50), "ImagerPixelSpacing": (2, 0.001, 50), "NominalScannedPixelSpacing": (2, 0.001, 50),
    "SliceThickness": (1, 0, 500), "SpacingBetweenSlices": (1, -500, 500), "ImageOrientationPatient": (6, -1, 1),
    "ImagePositionPatient": (3, -5_000, 5_000), "SliceLocation": (1, -5_000, 5_000), "WindowCenter": (1, -70_000, 70_000),
    "WindowWidth": (1, 0, 70_000), "RescaleIntercept": (1, -70_000, 70_000), "RescaleSlope": (1, -10_000, 10_000), "KVP": (1, 0, 500),
    "RepetitionTime": (1, 0, 60_000), "EchoTime": (1, 0, 5_000), "InversionTime": (1, 0, 60_000), "FlipAngle": (1, 0, 360),
    "MagneticFieldStrength": (1, 0, 20), "EstimatedRadiographicMagnificationFactor": (1, 0.1, 10), "CompressionForce": (1, 0, 500),
    "BodyPartThickness": (1, 0, 500),
}  # fmt: skip
DECIMALS = 4

# words: a code string is free text to whoever types it, so only the standard's own
_SIDES = frozenset({"R", "L", "U", "B"})
_YES_NO = frozenset({"YES", "NO"})
WORDS: dict[str, frozenset[str]] = {
    "Laterality": _SIDES, "ImageLaterality": _SIDES, "LossyImageCompression": frozenset({"00", "01"}), "QualityControlImage": _YES_NO,
    "RescaleType": frozenset({"HU", "US", "OD", "MGML", "PCT"}), "PixelIntensityRelationship": frozenset({"LIN", "LOG", "OTHER"}),
    "PresentationLUTShape": frozenset({"IDENTITY", "INVERSE"}), "VOILUTFunction": frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"}),
    "ViewPosition": frozenset({"AP", "PA", "LL", "RL", "LLD", "LLO", "RLD", "RLO", "CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO", "CV"}),
    "PatientPosition": frozenset({"HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"}),
    "PresentationIntentType": frozenset({"FOR PRESENTATION", "FOR PROCESSING"}), "ScanningSequence": frozenset({"SE", "IR", "GR", "EP", "RM"}),
    "MRAcquisitionType": frozenset({"2D", "3D"}),
    "BodyPartExamined": frozenset({
        "ABDOMEN", "ANKLE", "ARM", "BRAIN", "BREAST", "CHEST", "CSPINE", "ELBOW", "EYE", "FOOT", "HAND", "HEAD", "HEART", "HIP", "KNEE",
        "LEG", "LSPINE", "LUNG", "NECK", "PELVIS", "RETINA", "SHOULDER", "SKULL", "SPINE", "TSPINE", "WRIST",
    }),
}  # fmt: skip
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")

# Letters are burned into what comes of ultrasound, angiography, endoscopes and captured screens as a rule, and a program that looks
# for them overlooks some: those stay. A film may be digitised paper, so it must say that nothing is burned in; what a scanner
# reconstructs holds none, unless it was derived afterwards.
FILMS = frozenset({"CR", "DX", "MG", "IO", "PX", "RG"})
SCANNED = frozenset({"CT", "MR", "PT", "NM"})
# by the standard's names of their kinds (PS3.4, annex B.5): a modality alone is a word that anybody may write
KINDS = frozenset({
    "ComputedRadiographyImageStorage", "DigitalXRayImageStorageForPresentation", "DigitalXRayImageStorageForProcessing",
    "DigitalMammographyXRayImageStorageForPresentation", "DigitalMammographyXRayImageStorageForProcessing",
    "DigitalIntraOralXRayImageStorageForPresentation", "DigitalIntraOralXRayImageStorageForProcessing", "CTImageStorage",
    "MRImageStorage", "PositronEmissionTomographyImageStorage", "NuclearMedicineImageStorage",
})  # fmt: skip
LARGEST_PIXELS = 100_000_000
