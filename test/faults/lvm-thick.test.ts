import { lvmFaults } from "./lvm";

lvmFaults("thick");
