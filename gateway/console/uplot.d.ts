// What the gateway serves as uplot.js: the package's own module.
export { default } from 'uplot'
