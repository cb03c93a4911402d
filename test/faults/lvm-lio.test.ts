import { CASES } from "./cases";
import { lioWorld } from "./kernelWorlds";
import { labFaults } from "./lvm";

labFaults("exports by LIO", lioWorld, CASES.exports);
