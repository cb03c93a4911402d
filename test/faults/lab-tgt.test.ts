import { labExports } from "./lab";

labExports("tgt", "thin");
