/**
 * Navigation: a rail with all pages by group; in a narrow window a bar with the few that
 * matter most, and a sheet with the rest.
 */

import { useSignal } from "@preact/signals";

import { firing } from "../data/alerts";
import { GROUPS, leadsTo, PAGES, type Page } from "../pages";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { href } from "../router";
import { shell } from "../text";
import { toggleHelp } from "./keyboard";
import { nextTheme, theme } from "./theme";
import { Who } from "./who";

export function Rail() {
  return (
    <nav class="rail" aria-label={shell.pages}>
      <a class="brand" href={href("/")}>
        <svg width="26" height="26" viewBox="0 0 28 28" aria-hidden="true">
          <path d="M5 4v20M23 4v20M5 14h18" />
          <path class="brand-line" d="M9 14h2l2-5 3 10 2-5h2" />
        </svg>
        <span>{shell.product}</span>
      </a>
      <Groups />
      <Foot />
    </nav>
  );
}

function Groups() {
  return (
    <>
      {GROUPS.map(({ group, pages }) => (
        <div class="rail-group" key={group}>
          <p id={`nav-${group}`}>{shell.groups[group]}</p>
          <ul aria-labelledby={`nav-${group}`}>
            {pages.map((page) => (
              <li key={page.path}>
                <Link page={page} />
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  );
}

function Link({ page }: { page: Page }) {
  const count = page.path === "/alerts" ? firing.value.length : 0;
  return (
    <a href={href(page.path)} aria-current={leadsTo(page) ? "page" : undefined} title={page.title}>
      {page.nav && <Icon name={page.nav.icon} size={18} />}
      <span>{page.title}</span>
      {count > 0 && (
        <span class="count">
          {count}
          <span class="visually-hidden"> {shell.firing(count)}</span>
        </span>
      )}
    </a>
  );
}

function Foot() {
  return (
    <div class="rail-foot">
      <button type="button" onClick={nextTheme} title={shell.themeKey} data-theme-choice={theme.value}>
        <Icon name={theme.value} size={18} />
        <span>
          {shell.theme}: {shell.themes[theme.value]}
        </span>
      </button>
      <button type="button" onClick={toggleHelp} title={shell.helpKey}>
        <Icon name="help" size={18} />
        <span>{shell.help}</span>
      </button>
      <Who />
    </div>
  );
}

export function Bar() {
  const open = useSignal(false);
  return (
    <>
      <nav class="bar" aria-label={shell.menu}>
        <ul>
          {PAGES.filter((page) => page.nav?.bar).map((page) => (
            <li key={page.path}>
              <Link page={page} />
            </li>
          ))}
          <li>
            <button type="button" aria-haspopup="dialog" onClick={() => (open.value = true)}>
              <Icon name="menu" size={18} />
              <span>{shell.menu}</span>
            </button>
          </li>
        </ul>
      </nav>
      <Dialog open={open} title={shell.menu} kind="sheet">
        {/* A chosen page closes the sheet; its link goes on to the router. */}
        <div
          class="rail-sheet"
          onClick={(event) => {
            if (event.target instanceof Element && event.target.closest("a")) open.value = false;
          }}
        >
          <Groups />
          <Foot />
        </div>
      </Dialog>
    </>
  );
}
