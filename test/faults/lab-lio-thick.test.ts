import { labExports } from "./lab";

labExports("lio", "thick");
