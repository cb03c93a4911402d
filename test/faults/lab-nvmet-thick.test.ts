import { labExports } from "./lab";

labExports("nvmet", "thick");
