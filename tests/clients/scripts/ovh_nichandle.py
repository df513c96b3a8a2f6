"""An Ansible module that uses python-ovh, like the modules of synthesio.ovh."""

import ovh
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec={"endpoint": {}})
endpoint = module.params["endpoint"]
client = ovh.Client(endpoint=endpoint) if endpoint else ovh.Client()
me = client.get("/me")["nichandle"]
try:
    client.delete("/domain/zone/example.org/record/1")
except ovh.APIError as refused:
    module.exit_json(changed=False, me=me, refused=str(refused))
module.exit_json(changed=True, me=me)
