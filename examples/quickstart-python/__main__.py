"""The quickstart's program in Python.

    pip install -r requirements.txt
    pulumi config set host san1                  # a host of blockhost:hosts
    pulumi config set --secret chap correct-horse-battery
    pulumi up
"""

import pulumi
import pulumi_blockhost as blockhost

config = pulumi.Config()
host = config.get("host") or "embedded"
pool = config.get("pool") or "fast"

data = blockhost.Volume("data", host=host, pool=pool, size=config.get("size") or "64MiB")
logs = blockhost.Volume("logs", host=host, pool=pool, size="32MiB")

before = blockhost.Snapshot("before", volume=data)
clone = blockhost.Volume("clone", host=host, pool=pool, source={"snapshot": before.id})

lun = blockhost.Export(
    "lun",
    source=data,
    protocol=blockhost.Protocol.ISCSI,
    initiators=[
        {
            "iqn": "iqn.2024-01.com.example:db1",
            "chap": {"username": "db1", "password": config.require_secret("chap")},
        }
    ],
)

pulumi.export("dataPath", data.path)
pulumi.export("clonePath", clone.path)
# What os-brick, Nomad, libvirt or a script need to attach it.
pulumi.export("connection", lun.connection)
pulumi.export("driver", blockhost.get_pool_output(host=host, pool=pool).driver)
