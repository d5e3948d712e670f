"""What the site adds to the Markdown pages: their addresses, the navigation, the API reference and the picture."""
