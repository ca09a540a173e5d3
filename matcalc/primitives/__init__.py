"""The operations of the language, one class each."""
