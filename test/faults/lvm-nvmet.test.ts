import { CASES } from "./cases";
import { nvmetWorld } from "./kernelWorlds";
import { labFaults } from "./lvm";

labFaults(
    "exports by nvmet",
    nvmetWorld,
    CASES.exports.filter(({ readOnly }) => readOnly !== true),
);
