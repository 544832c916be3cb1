"""The record's two judges: trees and line."""
