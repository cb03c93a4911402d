"""Runs a Pulumi program in Python: what Pulumi's pulumi-language-python-exec does, for the stand-in beside this file.

    run-program.py SETTINGS DIRECTORY
"""

import asyncio
import json
import os
import runpy
import sys

import pulumi
import pulumi.runtime

settings = json.loads(sys.argv[1])
directory = sys.argv[2]
pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
pulumi.runtime.set_all_config(
    json.loads(os.environ["PULUMI_CONFIG"]), json.loads(os.environ["PULUMI_CONFIG_SECRET_KEYS"])
)
sys.path.insert(0, directory)
sys.argv = [directory]
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
run = pulumi.runtime.run_in_stack(lambda: runpy.run_path(directory, run_name="__main__"))
try:
    loop.run_until_complete(run)
except pulumi.RunError as error:
    pulumi.log.error(str(error))
    sys.exit(1)
