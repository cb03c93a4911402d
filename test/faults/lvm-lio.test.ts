import { CASES } from "./cases";
import { lioWorld } from "./kernelWorlds";
import { lvmExportFaults } from "./lvm";

lvmExportFaults("exports by LIO", lioWorld, CASES.exports);
