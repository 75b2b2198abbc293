/* The way in. Loaded in the head, so that the colours are right before anything is painted. */

import { render } from 'preact';
import { App } from './app';
import { startRouter } from './lib/router';
import { startTheme } from './lib/theme';
import './style/main.css';

startTheme();
document.addEventListener('DOMContentLoaded', () => {
  const root = document.getElementById('app');
  if (!root) return;
  startRouter();
  render(<App />, root);
});
