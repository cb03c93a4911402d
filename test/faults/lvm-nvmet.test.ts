import { CASES } from "./cases";
import { nvmetWorld } from "./kernelWorlds";
import { lvmExportFaults } from "./lvm";

lvmExportFaults(
    "exports by nvmet",
    nvmetWorld,
    CASES.exports.filter(({ readOnly }) => readOnly !== true),
);
