"""The site's colours: water by day and by night. Fonts are the reader's own, so that no page fetches any."""

LIGHT = {
    "color-brand-primary": "#0b6477",
    "color-brand-content": "#0b6477",
    "color-brand-visited": "#5b5f97",
}
DARK = {
    "color-brand-primary": "#5cc8db",
    "color-brand-content": "#5cc8db",
    "color-brand-visited": "#a9adee",
}
