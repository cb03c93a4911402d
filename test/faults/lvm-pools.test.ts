import { CASES } from "./cases";
import { labFaults } from "./lvm";
import { poolWorld } from "./poolWorld";

labFaults("pools", poolWorld, CASES.pools);
