/* The frame around every page: the way in, the way about, and how fresh it all is. */

import { useEffect, useRef } from 'preact/hooks';
import { line } from './lib/api';
import { useRoute } from './lib/router';
import { useStore } from './lib/store';
import { chooseTheme, theme, THEMES } from './lib/theme';
import { PAGES, type PageRow } from './pages/table';
import { LiveRegion } from './ui/announce';
import { Choice } from './ui/choice';
import { Freshness, LostBanner, PauseButton } from './ui/status';

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <path class="glass" d="M5 11 11 4h16v15l-6 7H5z" />
      <path class="edge" d="M5 11h16v15M21 11l6-7" />
      <path class="held" d="M8 19h2.5v4H8zM11.75 16h2.5v7h-2.5zM15.5 14H18v9h-2.5z" />
    </svg>
  );
}

function Navigation({ path }: { path: string }) {
  return (
    <nav aria-label="Pages">
      <ul>
        {PAGES.map((page) => (
          <li key={page.path}>
            <a data-route href={page.path} aria-current={page.path === path ? 'page' : undefined}>
              {page.name}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function ThemeChoice() {
  const options = THEMES.map((name) => ({ value: name, content: name }));
  return <Choice class="themes" label="Colours" options={options} value={useStore(theme)} onChange={chooseTheme} />;
}

function Lost({ path }: { path: string }) {
  return (
    <div class="page-head">
      <h1 tabIndex={-1}>No such page</h1>
      <p>
        There is nothing at <code>{path}</code>. The <a data-route href="/">Overview</a> is a good place to go on from.
      </p>
    </div>
  );
}

/* After a change of page the heading has the focus, as it would after a load. */
function usePageChange(page: PageRow | undefined, up: boolean): void {
  const first = useRef(true);
  useEffect(() => {
    document.title = `${up ? '' : 'Disconnected · '}${page?.name ?? 'No such page'} · Vitrine`;
  }, [page, up]);
  useEffect(() => {
    if (!first.current) {
      document.querySelector('h1')?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    first.current = false;
  }, [page]);
}

export function App() {
  const { path } = useRoute();
  const page = PAGES.find((row) => row.path === path);
  const { up } = useStore(line);
  usePageChange(page, up);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <a data-route class="brand" href="/">
          <Mark />
          Vitrine
        </a>
        <Navigation path={path} />
        <div class="spacer" />
        <div class="controls">
          {page && <Freshness />}
          <PauseButton />
          <ThemeChoice />
        </div>
      </header>
      <LostBanner />
      <main id="main" tabIndex={-1} class={up ? '' : 'lost'}>
        {page ? <page.Page /> : <Lost path={path} />}
      </main>
      <footer>
        <span>Vitrine</span>
        <a href="/api/v1/">API</a>
        <a href="/metrics">Prometheus metrics</a>
      </footer>
      <LiveRegion />
    </>
  );
}
