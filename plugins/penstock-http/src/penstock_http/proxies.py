"""Which proxy the environment names for a server, the same for every engine."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass


def proxy_for(scheme: str, host_and_port: str) -> str | None:
    """The URL of the proxy for a server, None for a direct way; as `urllib` reads the environment."""
    if proxy_bypass(host_and_port):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
