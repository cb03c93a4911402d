import { labExports } from "./lab";

labExports("lio", "thin");
