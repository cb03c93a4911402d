import { lvmFaults } from "./lab";

lvmFaults("thin");
