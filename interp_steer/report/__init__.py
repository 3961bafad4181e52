"""A run as a page: numbers and sentences first, then figures, then one HTML file."""
