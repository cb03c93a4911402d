import { lvmFaults } from "./lab";

lvmFaults("thick");
