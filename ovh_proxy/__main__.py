"""`python -m ovh_proxy` is `ovh-proxy`."""

from ovh_proxy.cli.main import main

if __name__ == "__main__":
    main()
