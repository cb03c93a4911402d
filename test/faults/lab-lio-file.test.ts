import { labExports } from "./lab";

labExports("lio", "file");
