import { by } from "./ironkeep.js";
