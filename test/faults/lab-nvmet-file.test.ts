import { labExports } from "./lab";

labExports("nvmet", "file");
