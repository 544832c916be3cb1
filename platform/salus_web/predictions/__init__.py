"""Risks asked for, stored, explained and reviewed; receipts."""
