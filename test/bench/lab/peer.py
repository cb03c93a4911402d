"""Cinder's LVM driver with its LIO target, as its volume manager calls it, without database, queue and API.

Reads from standard input what to do, as one JSON object: everything with "n" volumes, and one more export "times" over,
with "beside" of others there; "settings" of the driver. Prints one JSON line a measurement.
"""

import json
import sys
import time
import uuid

from oslo_config import cfg
from oslo_log import log as logging

import cinder.privsep
from cinder import context as cinder_context
from cinder import objects

# Before the driver is imported, which names these.
objects.register_all()

from cinder.volume import configuration  # noqa: E402
from cinder.volume import driver as volume_driver  # noqa: E402
from cinder.volume.drivers import lvm as lvm_driver  # noqa: E402

CONF = cfg.CONF
WANT = json.load(sys.stdin)
INITIATOR = "iqn.2024-01.com.example:client%d"


class Thing(dict):
    """A volume or snapshot as drivers read it: by key and by attribute."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)


def volume(size):
    name_id = str(uuid.uuid4())
    return Thing(id=name_id, name_id=name_id, name="volume-" + name_id, size=size, provider_location=None,
                 provider_auth=None, volume_attachment=[], multiattach=False, host="bench")


def snapshot(of):
    one = str(uuid.uuid4())
    return Thing(id=one, name="snapshot-" + one, volume_name=of.name, volume_size=of.size)


class Database:
    """What the target driver asks for credentials that were stored."""

    def __init__(self):
        self.volumes = {}

    def volume_get(self, context, one):
        return self.volumes[one]


def make_driver():
    logging.register_options(CONF)
    CONF([], project="cinder", default_config_files=[])
    CONF.set_override("lock_path", "/var/lock/cinder", group="oslo_concurrency")
    CONF.set_override("state_path", "/var/lib/cinder")
    # As root: what needs rights runs in this process, without rootwrap or a privsep daemon.
    cinder.privsep.sys_admin_pctxt.set_client_mode(False)
    settings = configuration.Configuration(volume_driver.volume_opts, config_group="lvm")
    settings.append_config_values(lvm_driver.volume_opts)
    for key, value in WANT["settings"].items():
        CONF.set_override(key, value, group="lvm")
    database = Database()
    driver = lvm_driver.LVMVolumeDriver(configuration=settings, db=database)
    driver.target_driver.db = database
    driver.check_for_setup_error()
    return driver, database


def main():
    driver, database = make_driver()
    context = cinder_context.get_admin_context()

    def measure(operation, n, what):
        started = time.monotonic()
        result = what()
        print(json.dumps({"operation": operation, "n": n, "seconds": time.monotonic() - started}), flush=True)
        return result

    def export(one, client):
        database.volumes[one.id] = one
        one.update(driver.create_export(context, one, {}))
        connector = {"initiator": INITIATOR % client, "host": "client"}
        driver.initialize_connection(one, connector)
        return connector

    def unexport(one, connector):
        driver.terminate_connection(one, connector)
        driver.remove_export(context, one)

    def each(all_of_them, what):
        return lambda: [what(one) for one in all_of_them]

    def one_more(beside):
        more = volume(1)
        driver.create_volume(more)
        connector = measure("exportMore", beside, lambda: export(more, 9999))
        measure("unexportMore", beside, lambda: unexport(more, connector))
        driver.delete_volume(more)

    n = WANT["n"]
    if n > 0:
        volumes = [volume(1) for _ in range(n)]
        measure("create", n, each(volumes, driver.create_volume))
        measure("list", n, lambda: driver.get_manageable_volumes([], None, 1000, 0, ["reference"], ["asc"]))
        measure("extend", n, each(volumes, lambda one: driver.extend_volume(one, 2)))
        for one in volumes:
            one["size"] = 2
        snapshots = [snapshot(one) for one in volumes]
        measure("snapshot", n, each(snapshots, driver.create_snapshot))
        clones = [(volume(2), one) for one in volumes]
        measure("clone", n, each(clones, lambda pair: driver.create_cloned_volume(*pair)))
        for one in snapshots:
            driver.delete_snapshot(one)
        for one, _ in clones:
            driver.delete_volume(one)
        connectors = measure("export", n, each(list(enumerate(volumes)), lambda pair: export(pair[1], pair[0])))
        one_more(n)
        measure("unexport", n, each(list(zip(volumes, connectors)), lambda pair: unexport(*pair)))
        measure("delete", n, each(volumes, driver.delete_volume))
    for _ in range(WANT["times"]):
        one_more(WANT["beside"])


main()
