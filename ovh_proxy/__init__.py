"""A local proxy that signs requests to the OVHcloud API."""

__version__ = "0.1.0"
