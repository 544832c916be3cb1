"""Model bundles: exam, promotion, rollback."""
