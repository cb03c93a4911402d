import { labExports } from "./lab";

labExports("nvmet", "thin");
