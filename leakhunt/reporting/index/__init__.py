"""The page that lists reports."""
