"""One change to the text of a store; its comments, order and quotes stay."""

from collections.abc import Mapping

from ovh_proxy.credential_store.yaml_edit import Written, YamlDocument

# A profile's fields as YAML has them: text, a reference, a list of rules.
Fields = Mapping[str, Written]


def put_profile(text: str, name: str, fields: Fields) -> str:
    """The text with that profile, new or in the place of the one of that name.

    The first profile of a store is its default.
    """
    tree = YamlDocument(text)
    if not tree.profiles:
        tree.start(name)
    tail = tree.cut_tail(tree.profiles, name) if name in tree.profiles else ""
    tree.profiles[name] = tree.mapping(fields)
    tree.add_tail(tree.profiles, name, tail)
    return tree.text((("profiles", name), ("default",)))


def put_field(text: str, name: str, field: str, value: Written, after: str) -> str:
    """The text with one field of a profile set; a new one comes behind another."""
    tree = YamlDocument(text)
    profile = tree.profiles[name]
    if field in profile:
        profile[field] = tree.written(value, profile[field])
    else:
        tail = tree.cut_tail(profile, after)
        profile.insert(list(profile).index(after) + 1, field, tree.written(value))
        tree.add_tail(profile, field, tail)
    return tree.text(tree.places(name, field))


def remove_field(text: str, name: str, field: str) -> str:
    """The text without one field of a profile; comments below it stay."""
    tree = YamlDocument(text)
    profile = tree.profiles[name]
    before = list(profile)[: list(profile).index(field)]
    tail = tree.cut_tail(profile, field)
    places = tree.places(name, field)
    del profile[field]
    if before:
        tree.add_tail(profile, before[-1], tail)
    else:
        tree.add_head(profile, tail)
    return tree.text(places)
