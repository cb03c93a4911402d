import { CASES } from "./cases";
import { labFaults } from "./lab";
import { poolWorld } from "./poolWorld";

labFaults("pools", poolWorld, CASES.pools);
