import { lvmFaults } from "./lvm";

lvmFaults("thin");
