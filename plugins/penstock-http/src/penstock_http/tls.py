"""Which certificates the engines trust: one context for all of them."""

from __future__ import annotations

import os
import ssl

import certifi


def tls_context(ca_pem: bytes | None) -> ssl.SSLContext:
    """A context that verifies certificates, by Mozilla's list and the authorities in `ca_pem`.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the list, as they do for OpenSSL.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=file or (None if folder else certifi.where()), capath=folder)
    context.set_alpn_protocols(["http/1.1"])
    if ca_pem is not None:
        context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    return context
