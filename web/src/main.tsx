/** Starts the page: theme first, so that nothing flashes; then routes, keys and the live connection. */

import { render } from "preact";

import { startAlerts } from "./data/alerts";
import { startLive } from "./data/live";
import { startSession } from "./data/session";
import { startSettings } from "./data/settings";
import { startRouter } from "./router";
import { Shell } from "./shell/shell";
import { startKeyboard } from "./shell/keyboard";
import { startTheme } from "./shell/theme";
import { startTitle } from "./shell/title";

startTheme();
startRouter();
startKeyboard();
startLive();
startSession();
startSettings();
startAlerts();
startTitle();

const root = document.getElementById("root");
if (root) render(<Shell />, root);
